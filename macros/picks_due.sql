{% macro picks_due(picks_due, picks, settlement_rules) -%}
    select pick_id::text as row_key
    from {{ picks_due }}

    union all

    -- Those whose window has closed, or opened again, since the last time.
    select closing.pick_id::text
    from {{ generate_schema_name('ops', none) }}.model_instants as earlier
    cross join {{ settlement_rules }} as rules
    cross join
        lateral (
            select picks.pick_id
            from {{ picks }} as picks
            where
                picks.commences_at
                > least(earlier.as_of, {{ as_of() }})
                - rules.void_after_hours * interval '1 hour'
                and picks.commences_at
                <= greatest(earlier.as_of, {{ as_of() }})
                - rules.void_after_hours * interval '1 hour'
            offset 0
        ) as closing
    where earlier.model_name = '{{ this.identifier }}'
{%- endmacro %}
