{% macro forget_missing(target, derived, key) %}
    delete from {{ target }} as kept
    where
        not exists (
            select
            from {{ derived }} as derived
            where
                {%- for column in key %}
                {% if not loop.first %}and {% endif -%}
                derived.{{ column }} = kept.{{ column }}
                {%- endfor %}
        )
{%- endmacro %}
