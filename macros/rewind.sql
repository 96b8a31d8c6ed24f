{% macro rewind(rewound, key, at='captured_at') -%}
    {{ tell_all_due() }}
    {%- if is_incremental() -%}
    {%- set rewound_rows -%}
    select kept.*
    from {{ rewound }} as rewound
    cross join
        lateral (
            select
                each_row.*,
                each_row.ctid as row_address
            from {{ this }} as each_row
            where
                each_row.{{ key }} = rewound.{{ key }}
                and each_row.{{ at }} >= rewound.rewound_to
            order by each_row.{{ key }}
            offset 0
        ) as kept
    where rewound.model_name = '{{ this.identifier }}'
    {%- endset %}
    {%- for consumer, told in told_by_config().items() %}
    {{ tell_due(consumer, told.key, rewound_rows) }};
    {%- endfor %}
    delete from {{ this }} as kept
    where
        kept.ctid = any(
            array(
                select rewound_row.row_address
                from (
                    {{ rewound_rows }}
                ) as rewound_row
            )
        )
    {%- endif -%}
{%- endmacro %}
