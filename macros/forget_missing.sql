{% macro forget_missing(relation, key) -%}
    delete from {{ this }} as kept
    where
        not exists (
            select 1
            from {{ relation }} as current_rows
            where
                {%- for column in key %}
                {% if not loop.first %}and {% endif -%}
                current_rows.{{ column }} = kept.{{ column }}
                {%- endfor %}
        )
{%- endmacro %}
