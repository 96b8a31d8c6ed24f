{% macro devig_band(implied, opposite) -%}
    {%- set multiplicative -%}
        ({{ implied }} / ({{ implied }} + {{ opposite }}))
    {%- endset -%}
    {%- set additive -%}
        ({{ implied }} - ({{ implied }} + {{ opposite }} - 1) / 2)
    {%- endset -%}
    {%- set odds -%}
        sqrt({{ implied }} / (1 - {{ implied }}))
    {%- endset -%}
    {%- set opposite_odds -%}
        sqrt({{ opposite }} / (1 - {{ opposite }}))
    {%- endset -%}
    {%- set odds_ratio -%}
        ({{ odds }} / ({{ odds }} + {{ opposite_odds }}))
    {%- endset -%}
    round(
        greatest({{ multiplicative }}, {{ additive }}, {{ odds_ratio }})
        - least({{ multiplicative }}, {{ additive }}, {{ odds_ratio }}),
        10
    )::numeric(12, 10)
{%- endmacro %}
