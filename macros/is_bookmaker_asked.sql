{% macro is_bookmaker_asked(
    regions_asked, bookmakers_asked, bookmaker_key, region
) -%}
    case
        when {{ bookmakers_asked }} is not null
            then {{ bookmaker_key }} = any({{ bookmakers_asked }})
        when {{ regions_asked }} is null or {{ region }} is null then true
        else {{ region }} = any({{ regions_asked }})
    end
{%- endmacro %}
