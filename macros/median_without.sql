{% macro median_without(votes, position, remaining) -%}
    {%- set lower -%}(({{ remaining }} + 1) / 2){%- endset -%}
    {%- set upper -%}(({{ remaining }} + 2) / 2){%- endset -%}
    round(
        (
            {{ votes }}[
                {{ lower }}
                + case when {{ lower }} >= {{ position }} then 1 else 0 end
            ]
            + {{ votes }}[
                {{ upper }}
                + case when {{ upper }} >= {{ position }} then 1 else 0 end
            ]
        ) / 2,
        10
    )::numeric(12, 10)
{%- endmacro %}
