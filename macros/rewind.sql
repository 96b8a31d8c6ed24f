{% macro rewind(rewound, key, at='captured_at') -%}
    {{ tell_all_due() }}
    {%- if is_incremental() -%}
    {%- set rewound_rows -%}
    select kept.*
    from {{ rewound }} as rewound
    inner join {{ this }} as kept
        on
            rewound.{{ key }} = kept.{{ key }}
            and rewound.rewound_to <= kept.{{ at }}
    where rewound.model_name = '{{ this.identifier }}'
    {%- endset %}
    {%- for consumer, told in told_by_config().items() %}
    {{ tell_due(consumer, told.key, rewound_rows) }};
    {%- endfor %}
    delete from {{ this }} as kept
    using {{ rewound }} as rewound
    where
        rewound.model_name = '{{ this.identifier }}'
        and kept.{{ key }} = rewound.{{ key }}
        and kept.{{ at }} >= rewound.rewound_to
    {%- endif -%}
{%- endmacro %}
