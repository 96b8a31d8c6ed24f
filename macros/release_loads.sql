{% macro release_loads() %}
    update {{ generate_schema_name('ops', none) }}.model_loads
    set is_done = true
    where model_name = '{{ this.identifier }}' and not is_done
{% endmacro %}
