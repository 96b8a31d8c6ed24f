{% macro get_incremental_mirror_sql(arg_dict) %}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set key = arg_dict["unique_key"] -%}
    {%- set key = [key] if key is string else key -%}
    {%- set columns = arg_dict["dest_columns"]
        | map(attribute="name") | join(", ") -%}
    {%- set conditions = (config.get("meta") or {}).get("due") or {} -%}

    with kept as (
        {%- for told_by, condition in conditions.items() %}
        select due_row.*
        from {{ due_keys(told_by) }} as due
        cross join
            lateral (
                select
                    {{ columns }},
                    each_row.ctid as row_address
                from {{ target }} as each_row
                where {{ condition }}
                offset 0
            ) as due_row

        union
        {% endfor %}
        select
            {{ columns }},
            each_row.ctid as row_address
        from {{ target }} as each_row
        {%- if conditions %}
        where {{ is_everything_due() }}
        {%- endif %}
    ),

    -- Sorted together: a join of the two would be planned by a guess of how
    -- many rows are due, and be one of each with each where it is low.
    kept_and_derived as (
        select
            *,
            count(*) filter (where row_address is null)
                over (partition by {{ key | join(", ") }}) as derived_count
        from (
            select * from kept

            union all

            select
                {{ columns }},
                null::tid as row_address
            from {{ arg_dict["temp_relation"] }}
        ) as both_rows
    ),

    missing as materialized (
        select
            {{ columns }},
            row_address
        from kept_and_derived
        where derived_count = 0
    )

    {%- for consumer, told in told_by_config().items() %},

    told_{{ loop.index }} as (
        {{ tell_due(consumer, told.key, "select * from missing") }}
    )
    {%- endfor %}

    delete from {{ target }} as gone
    where gone.ctid = any(array(select missing.row_address from missing));
    {{ get_incremental_upsert_sql(arg_dict) }}
{% endmacro %}
