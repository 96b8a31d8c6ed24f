{% macro as_of() -%}
    {%- set given = var('as_of', none) -%}
    {%- if given -%}
        {%- set instant = modules.datetime.datetime.fromisoformat(
            given | string
        ) -%}
        {%- if instant.tzinfo is none -%}
            {{- exceptions.raise_compiler_error(
                "var as_of is " ~ given ~ ", which says no time zone: "
                ~ "write it with its offset, as in 2026-11-23T18:00:00+00:00"
            ) -}}
        {%- endif -%}
    {%- else -%}
        {%- set instant = run_started_at -%}
    {%- endif -%}
    timestamptz '{{ instant.astimezone(modules.pytz.utc).isoformat() }}'
{%- endmacro %}
