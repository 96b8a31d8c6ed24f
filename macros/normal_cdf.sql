{% macro normal_cdf(x) -%}
    {#- Beyond 37 the tail is below 1e-299 and exp() would underflow. -#}
    {%- set size = 'least(abs((' ~ x ~ ')::double precision), 37)' -%}
    {%- set tail -%}
        exp(-{{ size }} * {{ size }} / 2)
        * {{ polynomial(size, [
            '3.52624965998911e-2', '0.700383064443688', '6.37396220353165',
            '33.912866078383', '112.079291497871', '221.213596169931',
            '220.206867912376',
        ]) }}
        / {{ polynomial(size, [
            '8.83883476483184e-2', '1.75566716318264', '16.064177579207',
            '86.7807322029461', '296.564248779674', '637.333633378831',
            '793.826512519948', '440.413735824752',
        ]) }}
    {%- endset -%}
    case
        when ({{ x }}) > 0 then 1 - {{ tail }}
        when ({{ x }}) <= 0 then {{ tail }}
    end
{%- endmacro %}
