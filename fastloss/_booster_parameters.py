"""
What becomes of each parameter of the boosters' estimators: it counts, it is refused, or it means nothing here.

Some belong to the booster's own objectives. Under a loss of this package they would be taken and count for nothing,
so they are refused with what to write instead. `tests/test_booster_parameters.py` holds the lists against the installed
libraries: what is new there has to be put into one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ._kernels import PointwiseLoss, RowwiseLoss


def _asks(*nothing: Any) -> Callable[[Any], bool]:
    """Whether a value is another one than these, which ask for nothing."""
    return lambda value: not any(value is each or value == each for each in (None, *nothing))


class Refused(NamedTuple):
    """What to write instead of a parameter, its other names, and which of its values are refused."""

    instead: str
    aliases: tuple[str, ...] = ()
    asks: Callable[[Any], bool] = _asks()


class Parameters(NamedTuple):
    """All parameters of a library's estimators, by its main name for each."""

    refused: dict[str, Refused]
    counting: frozenset[str]
    meaningless: frozenset[str]
    # Metrics that go by the order of one score a row, and those that compare a prediction with a number.
    rankings: frozenset[str]
    distances: frozenset[str]
    no_metric: frozenset[str] = frozenset()


THE_LOSS = "the loss is the objective"
CLASSES = "y says which classes there are"
OWN_CURVATURE = "it belongs to the library's own Poisson objective; the parameter curvature chooses the Hessian here"
CLASS_WEIGHT = "take class_weight or sample_weight, or a loss with pos_weight, alpha or class_weight"
QUANTILE = "write loss=Quantile(q=...)"
TWEEDIE = "write loss=Tweedie(power=...)"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LIGHTGBM = Parameters(
    refused={
        "objective": Refused(THE_LOSS, ("app", "application", "loss", "objective_type")),
        "num_class": Refused(CLASSES, ("num_classes",)),
        "is_unbalance": Refused(
            'take class_weight="balanced", or a loss with pos_weight, alpha or class_weight',
            ("unbalance", "unbalanced_sets"),
            _asks(False),
        ),
        "scale_pos_weight": Refused(CLASS_WEIGHT, (), _asks(1)),
        "alpha": Refused(f"{QUANTILE} or Huber(delta=...)"),
        "fair_c": Refused("write loss=Fair(c=...)"),
        "poisson_max_delta_step": Refused(OWN_CURVATURE),
        "tweedie_variance_power": Refused(TWEEDIE),
        "sigmoid": Refused("scores are log odds here, without a factor", (), _asks(1)),
        "reg_sqrt": Refused(
            "transform y, with sklearn.compose.TransformedTargetRegressor(func=numpy.sqrt, inverse_func=numpy.square)",
            (),
            _asks(False),
        ),
        "linear_tree": Refused("leaves of linear trees cannot carry the start value", ("linear_trees",), _asks(False)),
        "boosting": Refused(
            "LightGBM grows random forests on its own objectives only; take gbdt, dart or goss",
            ("boost", "boosting_type"),
            lambda value: value in ("rf", "random_forest"),
        ),
        "pos_bagging_fraction": Refused(
            "LightGBM draws by class for its own objectives only; take bagging_fraction, and class_weight",
            ("pos_bagging", "pos_sub_row", "pos_subsample"),
            _asks(1),
        ),
        "neg_bagging_fraction": Refused(
            "LightGBM draws by class for its own objectives only; take bagging_fraction, and class_weight",
            ("neg_bagging", "neg_sub_row", "neg_subsample"),
            _asks(1),
        ),
    },
    counting=_words(
        """
        auc_mu_weights bagging_by_query bagging_fraction bagging_freq bagging_seed bin_construct_sample_cnt
        boost_from_average cat_l2
        cat_smooth categorical_feature cegb_penalty_feature_coupled cegb_penalty_feature_lazy cegb_penalty_split
        cegb_tradeoff class_weight data_random_seed data_sample_strategy deterministic device_type drop_rate drop_seed
        early_stopping_min_delta early_stopping_round enable_bundle eval_at extra_seed extra_trees feature_contri
        feature_fraction feature_fraction_bynode feature_fraction_seed feature_pre_filter first_metric_only
        force_col_wise force_row_wise forcedbins_filename forcedsplits_filename gpu_device_id gpu_device_id_list
        gpu_platform_id gpu_use_dp histogram_pool_size importance_type interaction_constraints is_enable_sparse
        label_gain lambda_l1 lambda_l2 learning_rate local_listen_port machine_list_filename machines max_bin
        max_bin_by_feature max_cat_threshold max_cat_to_onehot max_delta_step max_depth max_drop metric
        min_data_in_bin min_data_in_leaf min_data_per_group min_gain_to_split min_sum_hessian_in_leaf
        monotone_constraints monotone_constraints_method monotone_penalty num_gpu num_grad_quant_bins num_iterations
        num_leaves num_machines num_threads other_rate path_smooth pre_partition predict_disable_shape_check
        quant_train_renew_leaf seed skip_drop stochastic_rounding time_out top_k top_rate tree_learner uniform_drop
        use_missing use_quantized_grad verbosity xgboost_dart_mode zero_as_missing
        """
    ),
    # Of files and the command line, of rankers, of predict, or of what is refused already.
    meaningless=_words(
        """
        config convert_model convert_model_language data group_column header ignore_column input_model
        is_provide_training_metric label_column lambdarank_norm lambdarank_position_bias_regularization
        lambdarank_truncation_level linear_lambda metric_freq multi_error_top_k num_iteration_predict objective_seed
        output_model output_result parser_config_file pred_early_stop pred_early_stop_freq pred_early_stop_margin
        precise_float_parser predict_contrib predict_leaf_index predict_raw_score refit_decay_rate save_binary
        saved_feature_importance_type snapshot_freq start_iteration_predict task two_round valid weight_column
        """
    ),
    rankings=_words("auc average_precision auc_mu ndcg lambdarank map mean_average_precision"),
    distances=_words(
        """
        l1 mean_absolute_error mae regression_l1 l2 mean_squared_error mse regression_l2 regression rmse
        root_mean_squared_error l2_root mape mean_absolute_percentage_error r2
        """
    ),
    no_metric=frozenset({"", "None", "none", "null", "na", "custom"}),
)

XGBOOST = Parameters(
    refused={
        "objective": Refused(THE_LOSS, (), _asks("binary:logistic", "reg:squarederror")),
        "num_class": Refused(CLASSES),
        "num_target": Refused("the loss says how many scores a row has"),
        "scale_pos_weight": Refused(
            "take sample_weight, or a loss with pos_weight, alpha or class_weight", (), _asks(1)
        ),
        "quantile_alpha": Refused(QUANTILE),
        "expectile_alpha": Refused("write loss=Expectile(q=...)"),
        "huber_slope": Refused("write loss=PseudoHuber(delta=...)"),
        "tweedie_variance_power": Refused(TWEEDIE),
        "aft_loss_distribution": Refused("there is no loss of survival times here"),
        "aft_loss_distribution_scale": Refused("there is no loss of survival times here"),
    },
    counting=_words(
        """
        base_score booster callbacks colsample_bylevel colsample_bynode colsample_bytree device early_stopping_rounds
        enable_categorical eval_metric feature_types feature_weights gamma grow_policy importance_type
        interaction_constraints learning_rate max_bin max_cat_threshold max_cat_to_onehot max_delta_step max_depth
        max_leaves min_child_weight missing monotone_constraints multi_strategy n_estimators n_jobs num_parallel_tree
        random_state reg_alpha reg_lambda sampling_method subsample tree_method validate_parameters verbosity
        """
    ),
    meaningless=_words("disable_default_eval_metric"),
    rankings=_words("auc aucpr ndcg map pre"),
    distances=_words("rmse mae mape rmsle"),
)

CATBOOST = Parameters(
    refused={
        "loss_function": Refused(THE_LOSS, ("objective",)),
        "classes_count": Refused(CLASSES),
        "class_names": Refused("the classes are the labels of y, sorted"),
        "target_border": Refused("make classes of y before, with numpy.digitize"),
    },
    counting=_words(
        """
        allow_const_label allow_writing_files approx_on_full_history auto_class_weights bagging_temperature
        best_model_min_trees boost_from_average boosting_type bootstrap_type border_count callback cat_features
        class_weights colsample_bylevel combinations_ctr counter_calc_method ctr_description ctr_history_unit
        ctr_leaf_count_limit ctr_target_border_count custom_loss custom_metric data_partition depth
        dev_efb_max_buckets dev_score_calc_obj_block_size device_config devices dictionaries
        diffusion_temperature early_stopping_rounds embedding_features eta eval_fraction eval_metric
        feature_border_type feature_calcers feature_weights final_ctr_computation_mode
        first_feature_use_penalties fixed_binary_splits fold_len_multiplier fold_permutation_block
        gpu_cat_features_storage gpu_ram_part grow_policy has_time ignored_features input_borders iterations
        l2_leaf_reg langevin leaf_estimation_backtracking leaf_estimation_iterations leaf_estimation_method
        learning_rate logging_level max_bin max_ctr_complexity max_depth max_leaves metadata metric_period
        min_child_samples min_data_in_leaf model_shrink_mode model_shrink_rate model_size_reg
        monotone_constraints mvs_reg n_estimators name nan_mode num_boost_round num_leaves num_trees od_pval
        od_type od_wait one_hot_max_size output_borders penalties_coefficient per_feature_ctr
        per_float_feature_quantization per_object_feature_penalties pinned_memory_size posterior_sampling
        random_score_type random_seed random_state random_strength reg_lambda rsm sampling_frequency
        sampling_unit save_snapshot scale_pos_weight score_function silent simple_ctr snapshot_file
        snapshot_interval sparse_features_conflict_fraction store_all_simple_ctr subsample task_type
        text_features text_processing thread_count tokenizers train_dir use_best_model used_ram_limit verbose
        """
    ),
    meaningless=frozenset(),
    rankings=_words("AUC PRAUC NormalizedGini QueryAUC"),
    distances=_words(
        """
        RMSE MAE MAPE R2 SMAPE MSLE RMSPE MedianAbsoluteError Quantile Expectile Huber LogCosh Lq FairLoss NumErrors
        """
    ),
)

LIBRARIES = {"lightgbm": LIGHTGBM, "xgboost": XGBOOST, "catboost": CATBOOST}


def check_parameters(library: str, given: dict[str, Any]) -> None:
    """Refuse the parameters that would count for nothing."""
    refused = LIBRARIES[library].refused if library in LIBRARIES else {}
    for main, (instead, aliases, asks) in refused.items():
        for name in (main, *aliases):
            if name in given and asks(given[name]):
                raise ValueError(f"{name} must be left alone, got {given[name]!r}: {instead}")


def check_metrics(library: str, loss: Any, metrics: Iterable[Any]) -> list[Any]:
    """Return the metrics that are asked for; those that would take raw scores for something else are refused."""
    table = LIBRARIES[library]
    is_prediction = isinstance(loss, PointwiseLoss) and loss.target_domain == "any"
    wanted = [each for each in metrics if not (isinstance(each, str) and each in table.no_metric)]
    for metric in wanted:
        if not isinstance(metric, str):
            continue  # a function, which is documented to get raw scores
        kind = metric.split(":")[0].split("@")[0]
        is_ranking = kind in table.rankings and (not isinstance(loss, RowwiseLoss) or kind == "auc_mu")
        if not is_ranking and not (is_prediction and kind in table.distances):
            raise ValueError(
                f"the metric {metric!r} would take raw scores for probabilities or means here: leave it out to measure "
                f"the loss itself, or measure others with fastloss.{library}.metric(loss)"
            )
    return wanted
