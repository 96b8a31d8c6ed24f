{% macro forget_unstarted(touched, started) -%}
    {%- if is_incremental() -%}
    with unstarted as materialized (
        select closes.*
        from (
            select touched.event_id
            from {{ touched }} as touched
            where
                touched.model_name = '{{ this.identifier }}'
                and not exists (
                    select 1
                    from {{ started }} as started
                    where started.event_id = touched.event_id
                    order by started.starts_at
                    offset 0
                )
            offset 0
        ) as events
        cross join
            lateral (
                select
                    kept.*,
                    kept.ctid as row_address
                from {{ this }} as kept
                where kept.event_id = events.event_id
                order by kept.event_id
                offset 0
            ) as closes
    )

    {%- for consumer, told in told_by_config().items() %},

    told_{{ loop.index }} as (
        {{ tell_due(consumer, told.key, "select * from unstarted") }}
    )
    {%- endfor %}

    delete from {{ this }} as kept
    where
        kept.ctid = any(
            array(
                select unstarted.row_address
                from unstarted
            )
        )
    {%- endif -%}
{%- endmacro %}
