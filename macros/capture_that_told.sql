{% macro capture_that_told(
    market, region, bounds=[], event_id=none, captures='captures', is_next=false
) -%}
    (
        select captures.captured_at
        from {{ captures }}
        {%- if captures != 'captures' %} as captures{% endif %}
        where
            captures.sport_key = {{ market }}.sport_key
            and captures.feed_id = {{ market }}.feed_id
            {%- for bound in bounds %}
            and captures.captured_at {{ bound }}
            {%- endfor %}
            and {{ is_market_asked(
                'captures.markets_asked', market ~ '.market_key'
            ) }}
            and {{ is_bookmaker_asked(
                'captures.regions_asked',
                'captures.bookmakers_asked',
                market ~ '.bookmaker_key',
                region,
            ) }}
            {%- if event_id %}
            and not {{ is_silent_about('captures', event_id) }}
            {%- endif %}
        order by captures.captured_at{{ '' if is_next else ' desc' }}
        limit 1
    )
{%- endmacro %}
