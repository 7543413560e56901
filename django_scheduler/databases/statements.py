"""Says of a statement how far its effects reach: to rows, to the rest of the transaction, or beyond.

A list of what is forbidden cannot be complete, so this is one of what is known to be harmless: what the ORM compiles,
and what is written by hand in the same words. A statement *writes rows* if it reads, inserts, updates or deletes and
calls only functions that Django itself compiles, or if it sets a savepoint or returns to one. A few others are known
to *end with the transaction*, such as ``SET LOCAL``. Whatever is not understood, down to a comment or an unknown
operator, *may last* as long as the session.

A name decides nothing by itself: ``set_config`` is dangerous because it is called. So a word before a parenthesis has
to be a keyword, a known function, or at a place where the grammar calls nothing: the table of an ``INSERT``, the name
of an alias. What a table does when it is written to (triggers, rules, views) no statement tells; its names are compared
with those of such tables (``special_relations``).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class Reach(IntEnum):
    """Says how far the effects of a statement reach."""

    ROWS = 0
    TRANSACTION = 1
    SESSION = 2


@dataclass(frozen=True, slots=True)
class Statement:
    """Says what is known of a statement."""

    reach: Reach
    #: All that may be the name of a table, in lower case.
    names: frozenset[str] = frozenset()
    #: What it does with which savepoint: ``SAVEPOINT``, ``RELEASE`` or ``ROLLBACK``, and the name as it is written.
    savepoint: tuple[str, str] | None = None


UNKNOWN = Statement(Reach.SESSION)

#: Strings that contain a backslash mean different things on different servers and settings; not so on SQLite.
STRINGS = {"postgresql": r"'(?:[^'\\]|'')*'", "mysql": r"'(?:[^'\\]|'')*'", "sqlite": r"'(?:[^']|'')*'"}

#: In backticks PostgreSQL has no names, but an operator on each side.
BACKTICKS = {"postgresql": "", "mysql": "|`(?:[^`\\\\]|``)+`", "sqlite": "|`(?:[^`\\\\]|``)+`"}

TOKENS = {
    vendor: re.compile(
        r"\s*(?:"
        r"(?P<word>[^\W\d]\w*)"
        r"|(?P<parameter>%s|%\(\w+\)s)"
        r"|(?P<mark>[(),.;\[\]])"
        rf"|(?P<quoted>\"(?:[^\"\\]|\"\")+\"{BACKTICKS[vendor]})"
        rf"|(?P<string>{string})"
        r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
        r"|(?P<operator>%%|[-+*/<>=~!@#^&|?:]+)"
        r"|(?P<end>$)"
        r")"
    )
    for vendor, string in STRINGS.items()
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OPERATORS = _words("= <> != < > <= >= + - * / %% || -> ->> & | ~ << >>")
OPERATORS = {
    "postgresql": _OPERATORS
    | _words(
        """
            :: : #> #>> #- @> <@ ? ?| ?& && @@ ~* !~ !~* ~~ !~~ ~~* !~~* # -|- <-> <<-> <->> &< &> ^ ^@
        """
    ),
    "mysql": _OPERATORS | _words("<=> && ! ^"),
    "sqlite": _OPERATORS | _words("=="),
}

VERBS = _words("select insert update delete with replace values")
SAVEPOINTS = re.compile(
    r"(?P<verb>SAVEPOINT|RELEASE(?: SAVEPOINT)?|ROLLBACK TO(?: SAVEPOINT)?)\s+(?P<name>[`\"]?\w+[`\"]?)", re.IGNORECASE
)

#: Of PostgreSQL.
END_WITH_TRANSACTION = re.compile(r"\s*(?:SET\s+(?:LOCAL|CONSTRAINTS)|LOCK\s+TABLE|NOTIFY)\b", re.IGNORECASE)

#: Before ``INTO``, where nothing is only selected: else it makes a table, a variable or a file of that.
BEFORE_INTO = _words("insert replace ignore")
ONLY_SELECT = _words("select values")
NAMES_FOLLOW = _words("into as with recursive")
NEVER = _words("outfile dumpfile procedure uescape")

KEYWORDS = _words(
    """
    all and any array as between by case conflict distinct div else except exists filter from group having in
    intersect interval is join lateral like ilike limit match against materialized not offset on or over
    partition regexp returning rlike row select set similar some then union using value values when where within
    xor bit char character datetime decimal nchar numeric time timestamp varbit varchar varying
    """
)

_FUNCTIONS = _words(
    """
    abs acos asin atan atan2 avg cast ceil ceiling char_length coalesce concat concat_ws cos cot count cume_dist
    date degrees dense_rank exp extract first_value floor greatest json_array json_object lag last_value lead
    least left length ln log lower lpad ltrim max md5 min mod nth_value ntile nullif percent_rank pi position
    power radians rank repeat replace reverse right round row_number rpad rtrim sign sin sqrt stddev_pop
    stddev_samp strpos substr substring sum tan trim upper var_pop var_samp
    """
)
FUNCTIONS = {
    "postgresql": _FUNCTIONS
    | _words(
        """
            age any_value array_agg array_length array_to_string ascii bit_and bit_or bit_xor bool_and bool_or
            cardinality chr clock_timestamp corr covar_pop covar_samp daterange date_part date_trunc decode digest
            encode gen_random_uuid initcap int4range int8range isempty json_agg json_build_array json_build_object
            jsonb_agg jsonb_array_elements jsonb_array_length jsonb_build_array jsonb_build_object jsonb_object_agg
            jsonb_path_exists jsonb_set justify_interval lower_inf lower_inc make_date make_interval make_timestamptz
            mode nextval numrange percentile_cont percentile_disc phraseto_tsquery plainto_tsquery range_agg
            regexp_replace regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy
            row_to_json setweight sha224 sha256 sha384 sha512 similarity split_part statement_timestamp string_agg
            strict_word_similarity string_to_array timezone to_char to_date to_json to_jsonb
            to_timestamp to_tsquery to_tsvector tstzrange ts_headline ts_rank ts_rank_cd tsrange unaccent unnest
            upper_inc upper_inf uuidv4 uuidv7 uuid_generate_v4 uuid_extract_timestamp websearch_to_tsquery
            word_similarity generate_series random
        """
    ),
    "mysql": _FUNCTIONS
    | _words(
        """
            any_value binary bit_and bit_or bit_xor char convert convert_tz crc32 curdate current_date current_time
            current_timestamp date_add date_format date_sub datediff dayofmonth dayofweek dayofyear find_in_set
            from_days from_unixtime group_concat hex hour if ifnull index instr json_arrayagg json_contains
            json_contains_path json_extract json_keys json_length json_objectagg json_quote json_remove json_replace
            json_set json_type json_unquote json_valid json_value json_compact locate last_day makedate maketime
            microsecond minute month now ord quarter rand regexp_like regexp_replace second sha1 sha2 std str_to_date
            sysdate time timestampadd timestampdiff time_format to_days to_seconds truncate unhex unix_timestamp
            utc_timestamp uuid uuid_v4 uuid_v7 variance week weekday weekofyear year yearweek
        """
    ),
    "sqlite": _FUNCTIONS
    | _words(
        """
            any_value bitxor char datetime django_date_extract django_date_trunc django_datetime_cast_date
            django_datetime_cast_time django_datetime_extract django_datetime_trunc django_format_dtdelta
            django_scheduler_next_id
            django_time_diff django_time_extract django_time_trunc django_timestamp_diff glob group_concat hex ifnull
            iif instr json json_array_length json_each json_extract json_group_array json_group_object json_patch
            json_quote json_remove json_set json_tree json_type json_valid julianday printf quote rand random regexp
            sha1 sha224 sha256 sha384 sha512 string_agg strftime time total typeof unicode unixepoch uuidv4 uuidv7
        """
    ),
}

FUNCTIONS_OF_GEODJANGO = _words(
    """
    mbrcontains mbrcoveredby mbrdisjoint mbrequal mbrequals mbrintersects mbroverlaps mbrtouches mbrwithin st_3ddistance
    st_3dextent st_3dlength st_3dperimeter st_area st_asbinary st_asgeojson st_asgml st_askml st_assvg st_astext
    st_azimuth st_centroid st_closestpoint st_collect st_contains st_containsproperly st_convexhull st_coveredby
    st_covers st_crosses st_dfullywithin st_difference st_disjoint st_distance st_distance_sphere st_distancesphere
    st_distancespheroid st_dwithin st_envelope st_equals st_extent st_force2d st_force3d st_forcepolygoncw
    st_geogfromwkb st_geohash st_geometrytype st_geomfromewkb st_geomfromtext st_geomfromwkb st_intersection
    st_intersects st_isempty st_isvalid st_length st_lengthspheroid st_linelocatepoint st_makeline st_makevalid
    st_memsize st_minimumboundingcircle st_ndims st_npoints st_numgeometries st_numpoints st_overlaps st_perimeter
    st_pointonsurface st_polygon st_relate st_reverse st_rotate st_scale st_snaptogrid st_srid st_symdifference
    st_touches st_transform st_translate st_union st_within
    """
)

#: Of PostgreSQL: those whose effect ends with the transaction, or who ask about it. And times, which are the same
#: throughout a transaction.
FUNCTIONS_OF_THE_TRANSACTION = _words(
    """
    now pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_current_xact_id pg_current_xact_id_if_assigned
    pg_notify pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared transaction_timestamp txid_current
    """
)
TIMES_OF_THE_TRANSACTION = _words("current_date current_time current_timestamp localtime localtimestamp")


def is_known_function(name: str, vendor: str) -> str:
    """Return the condition, in SQL, that this is the name of a function that is known to be harmless, or looks so."""
    known = FUNCTIONS[vendor] | FUNCTIONS_OF_GEODJANGO | FUNCTIONS_OF_THE_TRANSACTION | KEYWORDS
    names = ", ".join(f"'{each}'" for each in sorted(known))
    return f"{name} IN ({names})"


def examine(sql: str, vendor: str) -> Statement:
    """Return what is known of the statement, which is text with placeholders, in the dialect of that vendor."""
    if vendor not in TOKENS:
        return UNKNOWN
    if savepoint := SAVEPOINTS.fullmatch(sql):
        return Statement(Reach.ROWS, savepoint=(savepoint["verb"].upper().split()[0], savepoint["name"]))
    if vendor == "postgresql" and END_WITH_TRANSACTION.match(sql) and ";" not in sql:
        return Statement(Reach.TRANSACTION)
    tokens = _tokens(sql, vendor)
    if tokens is None:
        return UNKNOWN
    names: set[str] = set()
    reach = Reach.ROWS
    parts = _parts(tokens)
    if len(parts) > 1:  # results of the others would be left for who asks next
        reach = Reach.TRANSACTION if vendor == "postgresql" else Reach.SESSION
    for part in parts:
        reach = max(reach, _Part(part, vendor).reach())
        names.update(text for kind, text in part if kind in ("word", "quoted"))
    return Statement(reach, frozenset(names))


Token = tuple[str, str]


def _tokens(sql: str, vendor: str) -> list[Token] | None:
    """Return the tokens, words in lower case and names without their quotes; ``None`` if one is not understood."""
    tokens: list[Token] = []
    position = 0
    while match := TOKENS[vendor].match(sql, position):
        kind = str(match.lastgroup)
        if kind == "end":
            return tokens
        text = match[kind].lower()
        tokens.append((kind, text[1:-1] if kind == "quoted" else text))
        position = match.end()
    return None


def _parts(tokens: list[Token]) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token == ("mark", ";"):
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


class _Part:
    """Finds out how far one of the statements of a text reaches."""

    def __init__(self, tokens: Sequence[Token], vendor: str) -> None:
        self._tokens = tokens
        self._functions = FUNCTIONS[vendor]
        self._operators = OPERATORS[vendor]
        self._is_postgresql = vendor == "postgresql"

    def reach(self) -> Reach:
        kind, self._verb = next((token for token in self._tokens if token != ("mark", "(")), ("end", ""))
        if kind != "word" or self._verb not in VERBS:
            return Reach.SESSION
        return max(self._reach_at(position) for position in range(len(self._tokens)))

    def _reach_at(self, position: int) -> Reach:
        kind, text = self._tokens[position]
        if kind == "operator":
            return Reach.ROWS if text in self._operators else Reach.SESSION
        if (kind, text) == ("mark", "]") and self._at(position + 1) == ("mark", "("):
            return Reach.SESSION  # on SQLite, a name may be in brackets
        if kind not in ("word", "quoted"):
            return Reach.ROWS
        if self._at(position + 1) == ("mark", "("):
            return self._reach_of_call(position)
        if kind == "word":
            if text in NEVER or (text == "into" and not self._inserts_into(position)):
                return Reach.SESSION
            if text in TIMES_OF_THE_TRANSACTION and self._is_postgresql:
                return Reach.TRANSACTION
        # The tables of the system: to write to pg_settings sets them.
        return Reach.SESSION if text.startswith("pg_") else Reach.ROWS

    def _reach_of_call(self, position: int) -> Reach:
        kind, text = self._tokens[position]
        if self._is_name_of_something_new(position):
            return Reach.ROWS
        if kind == "quoted" or self._at(position - 1) == ("mark", "."):
            return Reach.SESSION
        if text in KEYWORDS or text in self._functions or text in FUNCTIONS_OF_GEODJANGO:
            return Reach.TRANSACTION if self._is_postgresql and text in TIMES_OF_THE_TRANSACTION else Reach.ROWS
        if self._is_postgresql and (text in FUNCTIONS_OF_THE_TRANSACTION or self._is_local_setting(position)):
            return Reach.TRANSACTION
        return Reach.SESSION

    def _is_name_of_something_new(self, position: int) -> bool:
        """Return whether a list of columns follows and no arguments: of the table of an INSERT, or of an alias."""
        while self._at(position - 1) == ("mark", "."):
            position -= 2
        kind, text = self._at(position - 1)
        return kind == "word" and text in NAMES_FOLLOW and self._at(position)[1] not in KEYWORDS

    def _inserts_into(self, position: int) -> bool:
        return self._verb not in ONLY_SELECT and self._at(position - 1)[1] in BEFORE_INTO

    def _is_local_setting(self, position: int) -> bool:
        """Return whether it is ``set_config`` of literals and parameters, the last one of which is ``true``."""
        if self._tokens[position] != ("word", "set_config"):
            return False
        position += 2
        while self._at(position)[0] in ("string", "parameter") or self._at(position) == ("mark", ","):
            position += 1
        return [self._at(position), self._at(position + 1)] == [("word", "true"), ("mark", ")")]

    def _at(self, position: int) -> Token:
        return self._tokens[position] if 0 <= position < len(self._tokens) else ("end", "")
