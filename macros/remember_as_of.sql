{% macro remember_as_of() %}
    insert into {{ generate_schema_name('ops', none) }}.model_instants
    (model_name, as_of)
    values ('{{ this.identifier }}', {{ as_of() }})
    on conflict (model_name) do update set as_of = excluded.as_of
{% endmacro %}
