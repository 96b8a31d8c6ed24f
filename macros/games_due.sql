{% macro games_due(results_due) -%}
    select game_id::text as row_key
    from {{ results_due }}
    where model_name = '{{ this.identifier }}'
{%- endmacro %}
