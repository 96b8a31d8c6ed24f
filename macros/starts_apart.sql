{% macro starts_apart(started) -%}
    select coalesce(kept.event_id, started.event_id) as row_key
    from (
        select
            event_id,
            min(starts_at) as starts_at
        from {{ this }}
        group by event_id
    ) as kept
    full join {{ started }} as started on kept.event_id = started.event_id
    where
        {{ is_everything_due() }}
        and kept.starts_at is distinct from started.starts_at
{%- endmacro %}
