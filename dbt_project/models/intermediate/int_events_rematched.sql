with due_rows as (

    select row_key
    from {{ source('ops', 'due_rows') }}
    where model_name = 'markets'

),

events as (

    select * from {{ ref('int_events_identified') }}

),

final as (

    select row_key as event_id
    from due_rows
    where
        not exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

    union all

    select event_id
    from events
    where
        exists (
            select 1
            from due_rows as everything
            where everything.row_key = '*'
        )

)

select * from final
