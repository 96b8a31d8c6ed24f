{% test sums_to(model, expression, total, group_by, tolerance=0) %}
{#
    Fails for each group whose sum of the expression is further from `total`
    than the tolerance: the fair probabilities of a market from 1, the points
    of a team's players from its score. `total` is a number or an aggregate
    expression such as `max(home_score)`. A group with a null in it fails.
#}
select
    {{ group_by | join(', ') }},
    sum({{ expression }}) as actual_total
from {{ model }}
group by {{ group_by | join(', ') }}
having
    (
        count(*) = count({{ expression }})
        and abs(sum({{ expression }}) - ({{ total }})) <= {{ tolerance }}
    ) is not true
{% endtest %}
