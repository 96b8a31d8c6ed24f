{% macro polynomial(x, coefficients) -%}
    {%- set ns = namespace(sql=coefficients[0]) -%}
    {%- for coefficient in coefficients[1:] -%}
        {%- set ns.sql = ['(', ns.sql, ' * ', x, ' + ', coefficient, ')']
            | join -%}
    {%- endfor -%}
    {{- ns.sql -}}
{%- endmacro %}
