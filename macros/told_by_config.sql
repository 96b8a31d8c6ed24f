{% macro told_by_config() %}
    {%- set found = {} -%}
    {%- for consumer, told in
        ((config.get("meta") or {}).get("tells") or {}).items() -%}
        {%- do found.update({
            consumer: {"key": told, "watched": none} if told is string else told
        }) -%}
    {%- endfor -%}
    {{- return(found) -}}
{% endmacro %}
