{% macro release_loads() %}
    update ops.model_loads
    set is_done = true
    where model_name = '{{ this.identifier }}' and not is_done
{% endmacro %}
