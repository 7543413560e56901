"""How the catalog of a database on PostgreSQL tells which relations are special (``special_relations``)."""

from django_scheduler.databases.statements import is_known_function

#: Changes whenever a trigger is made or dropped, or a function is made.
TRIGGERS = (
    "(SELECT ARRAY[count(*), max(oid::bigint), (SELECT max(oid) FROM pg_proc)::bigint]"
    " FROM pg_trigger WHERE NOT tgisinternal)"
)

#: Objects of the user's have numbers from 16384 on; functions of extensions do not count as the user's. A function may
#: have the name of one that is known to be harmless; and one of a row is called like a column, ``entry.function``.
SPECIAL_RELATIONS = f"""
    SELECT {TRIGGERS}, ARRAY(WITH RECURSIVE
    of_user AS (
        SELECT oid, proname, pronargs, proargtypes[0] AS first FROM pg_proc WHERE oid >= 16384 AND NOT EXISTS (
            SELECT 1 FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e'
        )
    ),
    called AS (
        SELECT classid, objid FROM pg_depend
        WHERE refclassid = 'pg_proc'::regclass AND refobjid IN (SELECT oid FROM of_user)
    ),
    special (id) AS (
        (
            SELECT tgrelid FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL SELECT oid FROM pg_class WHERE oid >= 16384 AND (relkind IN ('v', 'f') OR relrowsecurity)
            UNION ALL SELECT ev_class FROM pg_rewrite WHERE oid >= 16384
            UNION ALL SELECT adrelid FROM pg_attrdef WHERE oid IN (SELECT objid FROM called)
                OR pg_get_expr(adbin, adrelid) ~ 'txid_current|pg_current_xact_id|set_config|pg_notify|advisory'
            UNION ALL SELECT conrelid FROM pg_constraint WHERE oid IN (SELECT objid FROM called)
            UNION ALL SELECT indrelid FROM pg_index WHERE indexrelid IN (SELECT objid FROM called)
        )
        UNION SELECT reaching.id FROM special JOIN (
            SELECT inhparent AS id, inhrelid AS reached FROM pg_inherits
            UNION ALL SELECT confrelid, conrelid FROM pg_constraint
            WHERE confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd')
        ) reaching ON reaching.reached = special.id
    )
    SELECT lower(relname) FROM pg_class WHERE oid IN (SELECT id FROM special)
    UNION ALL SELECT lower(proname) FROM of_user WHERE {is_known_function("lower(proname)", "postgresql")}
        OR (pronargs = 1 AND first IN (SELECT oid FROM pg_type WHERE typtype = 'c')))
"""
