{% macro rewind(rewound, key, at='captured_at') -%}
    {%- if is_incremental() -%}
    delete from {{ this }} as kept
    using {{ rewound }} as rewound
    where
        rewound.model_name = '{{ this.identifier }}'
        and kept.{{ key }} = rewound.{{ key }}
        and kept.{{ at }} >= rewound.rewound_to
    {%- endif -%}
{%- endmacro %}
