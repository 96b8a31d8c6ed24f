{% test expression_is_true(model, expression, column_name=none) %}
{#
    Fails for each row of which the SQL expression is not true. Null fails
    too: an invariant that cannot be evaluated is not kept. Where a column may
    be null, the expression says so.
#}
select *
from {{ model }}
where ({{ expression }}) is not true
{% endtest %}
