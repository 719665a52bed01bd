"""scikit-learn's own checks of estimators, on features: its checks know no paths of clips."""

import warnings

from sklearn.utils.estimator_checks import parametrize_with_checks

from tasd.predict import FewShotRecognizer

NOT_MET = {
    "check_do_not_raise_errors_in_init_or_set_params": "in tests alone, the types of the "
    "constructor are checked",
}


@parametrize_with_checks(
    [FewShotRecognizer(device="cpu"), FewShotRecognizer(device="cpu", matcher="prototype")],
    expected_failed_checks=lambda estimator: NOT_MET,
)
def test_the_recogniser_meets(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        check(estimator)
