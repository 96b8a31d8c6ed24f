{% macro rewind(rewound, key) -%}
    {%- if is_incremental() -%}
    delete from {{ this }} as kept
    using {{ rewound }} as rewound
    where
        rewound.model_name = '{{ this.identifier }}'
        and kept.{{ key }} = rewound.{{ key }}
        and kept.captured_at >= rewound.rewound_to
    {%- endif -%}
{%- endmacro %}
