with events_captured as (

    select * from {{ ref('int_markets_rewound') }}

),

events_listed as (

    select * from {{ ref('int_events_rewound') }}

),

final as (

    select
        model_name,
        event_id
    from events_captured

    union distinct

    select
        model_name,
        event_id
    from events_listed

)

select * from final
