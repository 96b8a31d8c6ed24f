{% test unique_combination(model, columns) %}
{#
    Fails for each combination of values that stands on more than one row. A
    mart proves its key by a constraint; this is for seeds and views, which
    have none. Nulls are equal to each other here.
#}
select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
