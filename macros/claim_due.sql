{% macro claim_due(seeds=[], rows=none) %}
    {%- set due = generate_schema_name('ops', none) ~ '.due_rows' %}
    {{ tell_all_due() }};
    {%- if not is_incremental() %}
    insert into {{ due }} (model_name, told_by, row_key)
    values ('{{ this.identifier }}', '{{ this.identifier }}', '*')
    on conflict (model_name, told_by, row_key) do nothing;
    {%- endif %}
    {%- if seeds %}
    with content as (
        select
            md5(
                concat(
                    {%- for seed in seeds %}
                    (
                        select
                            string_agg(
                                seed::text, e'\n'
                                order by seed::text collate "C"
                            )
                        from {{ seed }} as seed
                    )
                    {%- if not loop.last %}, e'\n\n',{% endif %}
                    {%- endfor %}
                )
            ) as seeds_hash
    ),

    changed as (
        insert into {{ generate_schema_name('ops', none) }}.model_seeds as kept
        (model_name, seeds_hash)
        select
            '{{ this.identifier }}' as model_name,
            seeds_hash
        from content
        on conflict (model_name) do update set seeds_hash = excluded.seeds_hash
        where kept.seeds_hash <> excluded.seeds_hash
        returning model_name
    )

    insert into {{ due }} (model_name, told_by, row_key)
    select
        model_name,
        model_name as told_by,
        '*' as row_key
    from changed
    on conflict (model_name, told_by, row_key) do nothing;
    {%- endif %}
    update {{ due }}
    set is_claimed = true
    where model_name = '{{ this.identifier }}' and not is_claimed
    {%- if rows and is_incremental() %};
    insert into {{ due }} (model_name, told_by, row_key, is_claimed)
    select
        '{{ this.identifier }}' as model_name,
        '{{ this.identifier }}' as told_by,
        found.row_key,
        true as is_claimed
    from (
        {{ rows }}
    ) as found
    where found.row_key is not null
    group by found.row_key
    order by found.row_key
    on conflict (model_name, told_by, row_key) do update set is_claimed = true
    {%- endif %}
{% endmacro %}
