{% macro due_rows(relation) -%}
    {#- A unit test has no table of its own. -#}
    {%- if this and is_incremental() -%}
    {%- for told_by, condition in config.get('meta')['due'].items() %}
    select due_row.*
    from {{ due_keys(told_by) }} as due
    cross join
        lateral (
            select each_row.*
            from {{ relation }} as each_row
            where {{ condition }}
            offset 0
        ) as due_row

    union all
    {% endfor %}
    select each_row.*
    from {{ relation }} as each_row
    where {{ is_everything_due() }}
    {%- else -%}
    select * from {{ relation }}
    {%- endif -%}
{%- endmacro %}
