{% macro forget_taken_in(model_names) -%}
    {%- set claims = generate_schema_name('ops', none) ~ '.model_loads' %}
    {%- if is_incremental() -%}
    delete from {{ this }} as kept
    where
        kept.load_id = any(
            array(
                select unpacked.load_id
                from (
                    select load_id
                    from {{ this }}
                    group by load_id
                ) as unpacked
                inner join {{ claims }} as claimed
                    on
                        claimed.model_name = '{{ this.identifier }}'
                        and claimed.source_schema = 'staging_odds_api'
                        and claimed.load_id = unpacked.load_id
                where
                    claimed.landed_number <= (
                        select max(latest.landed_number)
                        from {{ claims }} as latest
                        where
                            latest.model_name = '{{ this.identifier }}'
                            and latest.source_schema = 'staging_odds_api'
                    ) - {{ var('unpacked_loads') }}
                    or (
                        select count(*)
                        from {{ claims }} as taken_in
                        where
                            taken_in.model_name in (
                                {%- for model_name in model_names %}
                                '{{ model_name }}'
                                {%- if not loop.last %},{% endif %}
                                {%- endfor %}
                            )
                            and taken_in.source_schema = 'staging_odds_api'
                            and taken_in.load_id = unpacked.load_id
                            and taken_in.is_done
                    ) = {{ model_names | length }}
            )
        )
    {%- endif -%}
{%- endmacro %}
