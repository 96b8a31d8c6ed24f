{% macro get_incremental_mirror_sql(arg_dict) %}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set derived = arg_dict["temp_relation"] -%}
    {%- set key = arg_dict["unique_key"] -%}
    {%- set key = [key] if key is string else key -%}
    {%- set conditions = (config.get("meta") or {}).get("due") -%}
    {%- set missing -%}
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
    create temporary table {{ target.identifier }}_missing on commit drop as
    {%- for told_by, condition in (conditions or {}).items() %}
    select gone.*
    from {{ due_keys(told_by) }} as due
    cross join
        lateral (
            select each_row.*
            from {{ target }} as each_row
            where {{ condition }}
            offset 0
        ) as gone
    where {{ missing | replace("each_row.", "gone.") }}

    union
    {% endfor %}
    select each_row.*
    from {{ target }} as each_row
    where
        {%- if conditions %}
        {{ is_everything_due() }} and
        {%- endif %}
        {{ missing }};

    {%- for consumer, told in told_by_config().items() %}
    {{ tell_due(
        consumer, told.key, "select * from " ~ target.identifier ~ "_missing"
    ) }};
    {%- endfor %}
    delete from {{ target }} as kept
    using {{ target.identifier }}_missing as missing
    where
        {%- for column in key %}
        {% if not loop.first %}and {% endif -%}
        kept.{{ column }} = missing.{{ column }}
        {%- endfor %};
    {{ get_incremental_upsert_sql(arg_dict) }}
{% endmacro %}
