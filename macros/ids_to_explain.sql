{% macro ids_to_explain(ids) -%}
    select row_key
    from {{ ids }}

    union all

    select array[source, source_id]::text
    from {{ this }}
    where reason = 'no_odds_near_start'
{%- endmacro %}
