{% macro claim_loads(source_schemas, taken_in_by={}) %}
    {%- set claims = generate_schema_name('ops', none) ~ '.model_loads' %}
    {%- if not is_incremental() %}
    delete from {{ claims }}
    where model_name = '{{ this.identifier }}';
    {%- endif %}
    insert into {{ claims }}
    (model_name, source_schema, load_id, landed_number)
    {%- for source_schema in source_schemas %}
    select
        '{{ this.identifier }}' as model_name,
        '{{ source_schema }}' as source_schema,
        loads.load_id,
        loads.landed_number
    from {{ source_schema }}._dlt_loads as loads
    cross join
        lateral (
            select
                coalesce(max(latest.landed_number) - 1000, 0) as landed_number
            from {{ claims }} as latest
            where
                latest.model_name = '{{ this.identifier }}'
                and latest.source_schema = '{{ source_schema }}'
            offset 0
        ) as margin
    where
        loads.status = 0
        and loads.landed_number > margin.landed_number
        and not exists (
            select
            from {{ claims }} as claimed
            where
                claimed.model_name = '{{ this.identifier }}'
                and claimed.source_schema = '{{ source_schema }}'
                and claimed.load_id = loads.load_id
            offset 0
        )
    {%- for model_name in taken_in_by.get(source_schema, []) %}
        and exists (
            select
            from {{ claims }} as taken_in
            where
                taken_in.model_name = '{{ model_name }}'
                and taken_in.source_schema = '{{ source_schema }}'
                and taken_in.load_id = loads.load_id
                and taken_in.is_done
            offset 0
        )
    {%- endfor %}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
    on conflict do nothing
{% endmacro %}
