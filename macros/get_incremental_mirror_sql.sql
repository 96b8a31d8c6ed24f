{% macro get_incremental_mirror_sql(arg_dict) %}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set derived = arg_dict["temp_relation"] -%}
    {%- set key = arg_dict["unique_key"] -%}
    {%- set key = [key] if key is string else key -%}
    {%- set conditions = (config.get("meta") or {}).get("due") or {} -%}
    {%- set is_missing -%}
        not exists (
            select
            from {{ derived }} as derived
            where
                {%- for column in key %}
                {% if not loop.first %}and {% endif -%}
                derived.{{ column }} = each_row.{{ column }}
                {%- endfor %}
        )
    {%- endset %}

    with missing as materialized (
        {%- for told_by, condition in conditions.items() %}
        select due_row.*
        from {{ due_keys(told_by) }} as due
        cross join
            lateral (
                select each_row.*
                from {{ target }} as each_row
                where
                    {{ condition }}
                    and {{ is_missing }}
                offset 0
            ) as due_row

        union
        {% endfor %}
        select each_row.*
        from {{ target }} as each_row
        where
            {%- if conditions %}
            {{ is_everything_due() }} and
            {%- endif %}
            {{ is_missing }}
    )

    {%- for consumer, told in told_by_config().items() %},

    told_{{ loop.index }} as (
        {{ tell_due(consumer, told.key, "select * from missing") }}
    )
    {%- endfor %}

    delete from {{ target }} as kept
    using missing
    where
        {%- for column in key %}
        {% if not loop.first %}and {% endif -%}
        kept.{{ column }} = missing.{{ column }}
        {%- endfor %};
    {{ get_incremental_upsert_sql(arg_dict) }}
{% endmacro %}
