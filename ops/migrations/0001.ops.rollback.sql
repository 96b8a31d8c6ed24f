drop schema ops cascade;
