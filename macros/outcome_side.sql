{% macro outcome_side(
    outcome_name, outcome_kind, home_team_name, away_team_name
) -%}
    case
        when {{ outcome_kind }} in ('team', 'team_or_draw')
            then
                case {{ outcome_name }}
                    when {{ home_team_name }} then 'home'
                    when {{ away_team_name }} then 'away'
                    when 'Draw' then
                        case {{ outcome_kind }}
                            when 'team_or_draw' then 'draw'
                        end
                end
        when {{ outcome_name }} in ('Over', 'Under', 'Yes', 'No')
            then lower({{ outcome_name }})
    end
{%- endmacro %}
