-- Nothing that is missed went; there is nothing to put back.
select 1;
