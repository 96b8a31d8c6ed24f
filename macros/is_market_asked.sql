{% macro is_market_asked(markets_asked, market_key) -%}
    (
        {{ markets_asked }} is null
        or {{ market_key }} = any({{ markets_asked }})
        or (
            {{ market_key }} like '%\_lay'
            and replace({{ market_key }}, '_lay', '') = any({{ markets_asked }})
        )
    )
{%- endmacro %}
