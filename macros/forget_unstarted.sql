{% macro forget_unstarted(touched, started) -%}
    {%- if is_incremental() -%}
    delete from {{ this }} as kept
    using (
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
    ) as unstarted
    where kept.event_id = unstarted.event_id
    {%- endif -%}
{%- endmacro %}
