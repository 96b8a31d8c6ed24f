{% macro get_incremental_upsert_sql(arg_dict) %}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set derived = arg_dict["temp_relation"] -%}
    {%- set key = arg_dict["unique_key"] -%}
    {%- if not key -%}
        {{- exceptions.raise_compiler_error(
            "incremental_strategy upsert needs unique_key: set it on "
            ~ target.identifier ~ " to the columns of its primary key"
        ) -}}
    {%- endif -%}
    {%- if arg_dict["incremental_predicates"] -%}
        {{- exceptions.raise_compiler_error(
            "incremental_strategy upsert knows no incremental_predicates: "
            ~ "remove them from " ~ target.identifier
            ~ " and filter in the model"
        ) -}}
    {%- endif -%}
    {%- set key = [key] if key is string else key -%}
    {%- set columns = arg_dict["dest_columns"]
        | map(attribute="name") | list -%}
    {%- set others = columns | reject("in", key) | list -%}

    {#- A table without a page has no row that another could meet. -#}
    {%- set is_blank = false -%}
    {%- if execute and is_streamed() -%}
        {%- set found = run_query(
            "select pg_relation_size('"
            ~ target.include(database=false) ~ "') = 0 as is_blank"
        ) -%}
        {%- set is_blank = found.columns[0].values()[0] -%}
    {%- endif %}

    {%- if model.name in var("refilled", []) %}
    {{ forget_missing(target, derived, key) }};
    {%- endif %}
    {%- for consumer, told in told_by_config().items() %}
    {{ tell_due(
        consumer,
        told.key,
        rows_apart(target, derived, key, columns, told.watched or others),
    ) }};
    {%- endfor %}
    insert into {{ target }} as kept ({{ columns | join(", ") }})
    select {{ columns | join(", ") }}
    from {{ derived_rows(arg_dict) }}
    {%- if not is_blank %}
    on conflict ({{ key | join(", ") }})
    {%- if others %}
    do update set
        {%- for column in others %}
        {{ column }} = excluded.{{ column }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    where
        {%- for column in others %}
        {% if not loop.first %}or {% endif -%}
        kept.{{ column }} is distinct from excluded.{{ column }}
        {%- endfor %}
    {%- else %}
    do nothing
    {%- endif %}
    {%- endif %}
{% endmacro %}
