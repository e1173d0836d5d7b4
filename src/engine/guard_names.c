/* What text from outside may name: node types, functions, table functions.
 *
 * Everything is allowed by name. A function of a later engine that nobody has
 * looked at is refused until it is added to a family below;
 * guard_names_test.c holds the catalogue of the engine against both lists and
 * prints what is in neither.
 *
 * The rule for a function: its result depends on its arguments (and the clock
 * or chance), it reads no file, setting, secret or catalogue, changes nothing,
 * and does not run or parse SQL.
 */
#include "engine/engine_internal.h"

/* Names of a family, separated by single spaces. */
struct family {
    const char *about;
    const char *names;
};

static const struct family allowed_functions[] = {
    {"operators, as the parser names them",
     "!= !__postfix !~~ !~~* !~ !~* % & && * ** + - -> ->> / // < <-> << <= <=> <@ = == <> > >= >> @ @> ^ ^@ "
     "| || ~ ~* ~~ ~~* ~~~ IS_DISTINCT_FROM IS_NOT_DISTINCT_FROM __between __cast xor add subtract multiply divide "
     "mod fmod fdiv"},
    {"numbers",
     "abs acos acosh asin asinh atan atan2 atanh cbrt ceil ceiling cos cosh cot degrees even exp factorial floor "
     "gamma gcd greatest_common_divisor lcm least_common_multiple lgamma ln log log10 log2 nextafter pi pow power "
     "radians random round round_even roundbankers sign signbit sin sinh sqrt tan tanh trunc isfinite isinf isnan "
     "bit_count get_bit set_bit binom decimal_division to_base bar width_bucket"},
    {"text",
     "ascii bin chr char_length character_length concat concat_ws contains damerau_levenshtein editdist3 ends_with "
     "format formatReadableDecimalSize formatReadableSize format_bytes from_base64 from_binary from_hex base64 "
     "hamming hash hex ilike_escape instr jaccard jaro_similarity jaro_winkler_similarity lcase left left_grapheme "
     "len length length_grapheme levenshtein like_escape lower lpad ltrim md5 md5_number md5_number_lower "
     "md5_number_upper mismatches nfc_normalize not_ilike_escape not_like_escape octet_length bit_length ord overlay "
     "position prefix printf repeat replace reverse right right_grapheme rpad rtrim sha1 sha256 split split_part "
     "starts_with str_split str_split_regex string_split string_split_regex string_to_array strip_accents strlen "
     "strpos substr substring substring_grapheme suffix to_base64 to_binary to_hex translate trim ucase unbin unhex "
     "unicode upper url_decode url_encode encode decode bitstring bit_position icu_sort_key create_sort_key "
     "regexp_escape regexp_extract regexp_extract_all regexp_full_match regexp_matches regexp_replace "
     "regexp_split_to_array regexp_split_to_table parse_dirname parse_dirpath parse_filename parse_path path_join "
     "parse_formatted_bytes pg_size_pretty array_to_string array_to_string_comma_default"},
    {"dates and times",
     "age ago century current_date current_localtime current_localtimestamp current_time current_timestamp date_add "
     "date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname dayofmonth dayofweek "
     "dayofyear days_in_month decade epoch epoch_ms epoch_ns epoch_us era get_current_time get_current_timestamp "
     "hour isodow isoyear julian last_day localtime localtimestamp make_date make_time make_timestamp "
     "make_timestamp_ms make_timestamp_ns make_timestamptz microsecond millennium millisecond minute month monthname "
     "nanosecond normalized_interval now quarter second strftime strptime time_bucket timetz_byte_comparable "
     "timezone timezone_hour timezone_minute to_centuries to_days to_decades to_hours to_microseconds to_millennia "
     "to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years today "
     "transaction_timestamp try_strptime week weekday weekofyear year yearweek"},
    {"lists, maps, structs, unions, enums",
     "aggregate apply array_aggr array_aggregate array_append array_apply array_cat array_concat array_contains "
     "array_cosine_distance array_cosine_similarity array_cross_product array_distance array_distinct "
     "array_dot_product array_extract array_filter array_grade_up array_has array_has_all array_has_any "
     "array_indexof array_inner_product array_intersect array_length array_negative_dot_product "
     "array_negative_inner_product array_pop_back array_pop_front array_position array_prepend array_push_back "
     "array_push_front array_reduce array_resize array_reverse array_reverse_sort array_select array_slice "
     "array_sort array_transform array_unique array_value array_where array_zip cardinality element_at filter "
     "flatten generate_series generate_subscripts grade_up list_aggr list_aggregate list_any_value list_append "
     "list_apply list_approx_count_distinct list_avg list_bit_and list_bit_or list_bit_xor list_bool_and "
     "list_bool_or list_cat list_concat list_contains list_cosine_distance list_cosine_similarity list_count "
     "list_distance list_distinct list_dot_product list_element list_entropy list_extract list_filter list_first "
     "list_grade_up list_has list_has_all list_has_any list_histogram list_indexof list_inner_product list_intersect "
     "list_kurtosis list_kurtosis_pop list_last list_mad list_max list_median list_min list_mode "
     "list_negative_dot_product list_negative_inner_product list_pack list_position list_prepend list_product "
     "list_reduce list_resize list_reverse list_reverse_sort list_select list_sem list_skewness list_slice list_sort "
     "list_stddev_pop list_stddev_samp list_string_agg list_sum list_transform list_unique list_value list_var_pop "
     "list_var_samp list_where list_zip map map_concat map_contains map_contains_entry map_contains_value "
     "map_entries map_extract map_extract_value map_from_entries map_keys map_values range reduce row struct_concat "
     "struct_contains struct_extract struct_extract_at struct_has struct_indexof struct_insert struct_keys "
     "struct_pack struct_position struct_update struct_values remap_struct union_extract union_tag union_value "
     "unpivot_list unnest enum_code enum_first enum_last enum_range enum_range_boundary vertex_extract "
     "equi_width_bins is_histogram_other_bin invoke"},
    {"JSON",
     "array_to_json from_json from_json_strict json json_array json_array_length json_contains json_deep_merge "
     "json_exists json_extract json_extract_path json_extract_path_text json_extract_string json_group_array "
     "json_group_object json_group_structure json_insert json_keys json_merge_patch json_merge_patch_diff "
     "json_normalize json_object json_pretty json_quote json_remove json_replace json_set json_strip_nulls "
     "json_structure json_transform json_transform_strict json_type json_valid json_value row_to_json to_json"},
    {"values and types",
     "alias can_cast_implicitly cast_to_type coalesce constant_or_null error assert_true gen_random_uuid greatest if "
     "iff ifnull least nullif pg_typeof switch try typeof uuid uuid_extract_timestamp uuid_extract_version uuidv4 "
     "uuidv7 version variant_array_length variant_contains variant_exists variant_extract variant_extract_string "
     "variant_group_array variant_keys variant_type variant_typeof"},
    {"shapes", "st_asbinary st_asgeojson st_astext st_aswkb st_aswkt st_crs st_geomfromgeojson st_geomfromwkb "
               "st_intersects_extent st_setcrs"},
    {"aggregates",
     "any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null arg_max_nulls_last "
     "arg_min arg_min_null arg_min_nulls_last argmax argmin array_agg avg bit_and bit_or bit_xor bitstring_agg "
     "bool_and bool_or corr count count_if count_star countif covar_pop covar_samp decimal_average entropy favg "
     "first "
     "fsum geomean geometric_mean group_concat histogram histogram_exact kahan_sum kurtosis kurtosis_pop last list "
     "listagg lttb mad max max_by mean median min min_by mode percentile_cont percentile_disc product quantile "
     "quantile_cont quantile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy "
     "regr_syy reservoir_quantile sem skewness stddev stddev_pop stddev_samp string_agg sum sum_no_overflow sumkahan "
     "var_pop var_samp variance variant_group_object wavg weighted_avg"},
    {"windows",
     "cume_dist dense_rank fill first_value lag last_value lead nth_value ntile percent_rank rank rank_dense "
     "row_number"},
};

static const struct family refused_functions[] = {
    {"reads the engine's settings, variables or the environment",
     "current_setting getenv getvariable in_search_path get_block_size variable"},
    {"tells about the engine or the host, not about data",
     "current_catalog current_connection_id current_database current_query current_query_id current_role "
     "current_schema current_schemas current_transaction_id current_user session_user user txid_current "
     "inet_client_addr inet_client_port inet_server_addr inet_server_port pg_postmaster_start_time "
     "pg_conf_load_time pg_my_temp_schema pg_is_other_temp_schema stats vector_type index_key "
     "hive_partition_component"},
    {"changes the state of the engine", "currval nextval setval setseed write_log"},
    {"holds a worker without computing anything", "sleep_ms pg_sleep"},
    {"runs, parses or plans SQL",
     "query query_table json_execute_serialized_sql json_serialize_sql json_serialize_plan json_deserialize_sql "
     "parse_duckdb_log_message"},
    {"reads files",
     "read_csv read_csv_auto read_parquet parquet_scan read_json read_json_auto read_json_objects "
     "read_json_objects_auto read_ndjson read_ndjson_auto read_ndjson_objects read_text read_blob read_duckdb "
     "read_single_csv_file read_single_json_file read_single_parquet_file glob sniff_csv parquet_metadata "
     "parquet_file_metadata parquet_full_metadata parquet_kv_metadata parquet_schema parquet_bloom_probe"},
    {"is part of the engine's inside",
     "make_type get_type replace_type combine finalize to_aggregate_state combine_aggr bitstring_byte_comparable "
     "variant_bytes_to_variant variant_comparator variant_normalize variant_to_parquet_variant format_pg_type "
     "format_type map_to_pg_oid col_description obj_description shobj_description json_copy_strftime_if_date "
     "json_copy_strftime_if_timestamp seq_scan arrow_scan arrow_scan_dumb tarn_source tarn_live tarn_number summary "
     "test_all_types test_vector_types which_secret histogram_values checkpoint force_checkpoint repeat_row "
     "pg_timezone_names "
     "icu_calendar_names create_external_resource deregister_external_resource destroy_external_resource "
     "register_external_resource register_external_resource_type disable_logging enable_logging disable_profiling "
     "enable_profiling truncate_duckdb_logs pandas_scan python_arrow_scan python_map_function"},
};

/* Families whose names share a beginning; refused as a whole. */
static const struct family refused_prefixes[] = {
    {"is part of the engine's inside", "__internal_ collate_ icu_collate_"},
    {"reads the engine's catalogue", "duckdb_ pragma_ pg_get_ has_ pg_has_ pg_"},
};

/* Of the allowed ones: the same rows give another answer at another time. `age`
 * of one argument counts from today. */
static const struct family varying_functions[] = {
    {"time", "age ago current_date current_localtime current_localtimestamp current_time current_timestamp "
             "get_current_time get_current_timestamp localtime localtimestamp now today transaction_timestamp"},
    {"chance", "random uuid uuidv4 uuidv7 gen_random_uuid"},
};

static const struct family allowed_table_functions[] = {
    {"rows made from arguments", "range generate_series unnest repeat json_each json_tree"},
};

static const struct family allowed_nodes[] = {
    {"queries", "SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE"},
    {"tables", "BASE_TABLE SUBQUERY JOIN TABLE_FUNCTION EMPTY EXPRESSION_LIST PIVOT SHOW_REF"},
    {"modifiers", "LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER DISTINCT_MODIFIER ORDER_MODIFIER"},
    {"orders", "ASCENDING DESCENDING ORDER_DEFAULT"},
};

static const struct family allowed_expressions[] = {
    {"all that a SELECT needs",
     "BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA LAMBDA_REF OPERATOR "
     "PARAMETER POSITIONAL_REFERENCE STAR SUBQUERY TYPE WINDOW"},
};

/* The family that holds the word, or NULL. */
static const struct family *find(const struct family *families, size_t count, const char *word, bool as_prefix)
{
    size_t length = strlen(word);
    for (size_t i = 0; i < count; i++) {
        const char *name = families[i].names;
        while (*name) {
            size_t end = strcspn(name, " ");
            bool fits = as_prefix ? length > end : length == end;
            if (fits && strncasecmp(name, word, end) == 0)
                return &families[i];
            name += end;
            name += *name == ' ';
        }
    }
    return NULL;
}

bool guard_function_allowed(const char *name)
{
    /* The only names with spaces are these two operators. */
    if (tn_streq(name, "IS DISTINCT FROM") || tn_streq(name, "IS NOT DISTINCT FROM"))
        return true;
    return *name && !strchr(name, ' ') && find(allowed_functions, TN_COUNT(allowed_functions), name, false);
}

bool guard_function_varies(const char *name)
{
    return *name && find(varying_functions, TN_COUNT(varying_functions), name, false);
}

bool guard_table_function_allowed(const char *name)
{
    return *name && find(allowed_table_functions, TN_COUNT(allowed_table_functions), name, false);
}

bool guard_node_allowed(const char *type)
{
    return *type && find(allowed_nodes, TN_COUNT(allowed_nodes), type, false);
}

bool guard_expression_allowed(const char *expression_class)
{
    return *expression_class && find(allowed_expressions, TN_COUNT(allowed_expressions), expression_class, false);
}

const char *guard_function_refusal(const char *name)
{
    if (guard_function_allowed(name)) /* pg_typeof among the pg_ that are refused */
        return NULL;
    const struct family *family = find(refused_functions, TN_COUNT(refused_functions), name, false);
    if (!family)
        family = find(refused_prefixes, TN_COUNT(refused_prefixes), name, true);
    return family ? family->about : NULL;
}
