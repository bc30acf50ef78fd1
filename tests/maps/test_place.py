"""Where samples lie on the map."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from tasks.maps.placement import place_samples


def test_what_is_alike_stays_together_and_classes_lie_apart():
    digits = load_digits()
    points, labels = digits.data.astype(np.float32), digits.target.astype(np.int64)
    found = place_samples(points, labels)
    near, kept = (
        NearestNeighbors(n_neighbors=10).fit(where).kneighbors(return_distance=False)
        for where in (points, found.directions)
    )
    assert np.mean([len({*a} & {*b}) for a, b in zip(near, kept, strict=True)]) > 8.5
    own = [
        (
            labels[NearestNeighbors(n_neighbors=1).fit(view).kneighbors(return_distance=False).ravel()]
            == labels
        )
        for view in (found.plane, found.classes)
    ]
    assert own[1].mean() > own[0].mean()


def test_one_sample_one_direction_and_one_class_have_a_map_too():
    for points in (np.ones((1, 3)), np.arange(5.0)[:, None], np.eye(4)):
        found = place_samples(points.astype(np.float32), np.zeros(len(points), np.int64))
        assert found.plane.shape == found.classes.shape == (len(points), 2)
        assert np.isfinite(found.plane).all()


def test_classes_at_one_place_each_or_with_the_same_mean_have_a_map_too():
    corners = np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (20, 1)).astype(np.float32)
    for points, labels in (
        (corners, corners.sum(1) % 2),
        (corners, corners[:, 0]),
        (corners[:, :1], corners[:, 0]),
        (np.ones((80, 3), np.float32), corners[:, 0]),
    ):
        found = place_samples(points, labels.astype(np.int64))
        assert found.classes.shape == (80, 2)
        assert np.isfinite(found.classes).all()
