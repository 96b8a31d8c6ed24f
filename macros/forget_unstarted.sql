{% macro forget_unstarted(touched, started) -%}
    {%- if is_incremental() -%}
    delete from {{ this }} as kept
    using {{ touched }} as touched
    where
        touched.model_name = '{{ this.identifier }}'
        and kept.event_id = touched.event_id
        and not exists (
            select 1
            from {{ started }} as started
            where started.event_id = kept.event_id
        )
    {%- endif -%}
{%- endmacro %}
