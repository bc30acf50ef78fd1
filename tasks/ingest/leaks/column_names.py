"""What the name of a column says: that it numbers rows or people, or that it is another label."""

import re

# Who or what data are usually about, one row each.
_WHO = (
    "account|animal|applicant|borrower|case|child|client|comment|customer|doc|document|employee|entry|example|file|image|instance|"
    "item|line|loan|member|message|observation|obs|order|passenger|patient|person|participant|post|product|record|respondent|"
    "pupil|review|row|sample|serial|session|specimen|student|subject|text|ticket|transaction|tweet|user|visit"
)
_NUMBER = "id|ids|no|nr|num|number|idx|index|key|code|pk|uuid|guid"
# Words that say alone that a column numbers something; `level_0` is what pandas calls an index without a name.
_COUNTS = (
    r"(no|nr|num|number|idx|index|#|s/?no|sl ?no|serial|unnamed|row|rownames?|row ?names?)( \d+)?|level \d+"
)
_ALONE = rf"(id|ids|pk|uuid|guid)( \d+)?|{_COUNTS}"
_IDENTIFIES = re.compile(rf"(.* )?({_WHO}) ?({_NUMBER})( \d+)?|(.* )?(id|uuid|guid)|id .*|{_ALONE}")
# Who is seen in several rows: a code of a few rows each.
_SOMEBODY = re.compile(
    r"(.* )?(patient|subject|person|participant|respondent|child|pupil|teacher|speaker|author|animal|donor|user|client|customer|"
    r"family|household|school|hospital|clinic)s?"
)
# Who gave the label of a row, in files with a row for each answer.
_RATERS = re.compile(
    r"(annotator|worker|rater|coder|labell?er|judge|assessor)( ?id| name)?|(annotated|labell?ed|rated|coded) by"
)
_TIMES = re.compile(
    r"(.* )?(time|timestamp|datetime|date|epoch|created|created at|recorded|recorded at)( .*)?"
)
_LABELS = re.compile(
    r"(.* )?(labels?|target|class|classes|y|gt|truth|ground truth|gold|annotat\w+|raters?|coders?|pred|predicted|prediction)"
    r"( .*)?"
)


def split_words(name: str) -> str:
    """Return the words of a name in lower case.

    >>> split_words("PassengerId"), split_words("customer_id"), split_words("Unnamed: 0"), split_words("RowNumber")
    ('passenger id', 'customer id', 'unnamed 0', 'row number')
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return " ".join(re.sub(r"[^\w#/]|_", " ", apart).lower().split())


def is_id_name(name: str) -> bool:
    """Return whether a name says that the column tells which row, thing or person a row is of.

    >>> [name for name in ("nr", "ID", "patientid", "wnid_id", "humid", "paid", "education_num") if is_id_name(name)]
    ['nr', 'ID', 'patientid', 'wnid_id']
    """
    return _IDENTIFIES.fullmatch(split_words(name)) is not None


def is_counting_name(name: str) -> bool:
    """Return whether a name says that the column only counts rows, so that the numbers of all change where one is deleted.

    >>> [name for name in ("Unnamed: 0", "index", "PassengerId", "case_no") if is_counting_name(name)]
    ['Unnamed: 0', 'index']
    """
    return re.fullmatch(_COUNTS, split_words(name)) is not None


def is_person_name(name: str) -> bool:
    """Return whether a name says that the column tells whom a row is of, who may have several rows.

    >>> is_person_name("patient"), is_person_name("PatientCode"), is_person_name("age")
    (True, True, False)
    """
    return is_id_name(name) or _SOMEBODY.fullmatch(split_words(name)) is not None


def is_rater_name(name: str) -> bool:
    """Return whether a name says that the column tells who gave the label of a row.

    >>> [name for name in ("WorkerId", "annotator", "_worker_id", "rated_by", "worker_age") if is_rater_name(name)]
    ['WorkerId', 'annotator', '_worker_id', 'rated_by']
    """
    return _RATERS.fullmatch(split_words(name)) is not None


def is_time_name(name: str) -> bool:
    """Return whether a name says that the column tells when a row was recorded.

    >>> is_time_name("recorded_at"), is_time_name("timestamp"), is_time_name("sometimes")
    (True, True, False)
    """
    return _TIMES.fullmatch(split_words(name)) is not None


def is_label_name(name: str, label: str) -> bool:
    """Return whether a name says that the column is another label.

    >>> is_label_name("label_text", "label"), is_label_name("species_code", "species"), is_label_name("yield", "label")
    (True, True, False)
    """
    words, asked = f" {split_words(name)} ", f" {split_words(label)} "
    return asked in words or _LABELS.fullmatch(words.strip()) is not None
