{% macro devig_band(implied, opposite) -%}
    {%- set multiplicative -%}
        ({{ implied }} / ({{ implied }} + {{ opposite }}))
    {%- endset -%}
    {#- a / (a + b) of two square roots is 1 / (1 + b / a): one root, not four. -#}
    {%- set odds_ratio -%}
        (
            1
            / (
                1
                + sqrt(
                    {{ opposite }} * (1 - {{ implied }})
                    / ({{ implied }} * (1 - {{ opposite }}))
                )
            )
        )
    {%- endset -%}
    round(abs({{ odds_ratio }} - {{ multiplicative }}), 10)::numeric(12, 10)
{%- endmacro %}
