import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.physics import channel

SIDES = dict(area=jnp.array(1e5), bank_depth=jnp.array(2.0), floodplain_area=jnp.array(4e5))


def edge(head, head_next, width=80.0, roughness=0.03, length=1000.0):
    return channel.edge_flow(*(jnp.asarray(float(a)) for a in (head, head_next, width, roughness, length)))


def test_uniform_flow_obeys_manning():
    depth, slope, width = 3.0, 4e-4, 80.0
    expected = width * depth / 0.03 * (width * depth / (width + 2 * depth)) ** (2 / 3) * np.sqrt(slope)
    np.testing.assert_allclose(edge(depth, depth - slope * 1000).discharge, expected, rtol=1e-5)
    np.testing.assert_allclose(
        channel.normal_flow(jnp.array(depth), jnp.array(slope), jnp.array(width), jnp.array(0.03))[0],
        expected,
        rtol=1e-6,
    )


def test_exchanging_the_ends_reverses_the_flow():
    forth, back = edge(2.5, 1.0), edge(1.0, 2.5)
    np.testing.assert_allclose(forth.discharge, -back.discharge, rtol=1e-14)
    np.testing.assert_allclose(forth.to_own, back.to_next, rtol=1e-14)


def test_no_water_passes_below_the_crest():
    assert edge(-0.1, -3.0).discharge == 0.0
    assert edge(-0.1, -3.0).to_own == 0.0
    assert edge(0.1, -3.0).discharge > 0.0


def test_level_water_does_not_flow():
    assert edge(1.3, 1.3).discharge == 0.0


def test_responses_are_derivatives():
    generator = np.random.default_rng(0)
    for _ in range(50):
        head, head_next = generator.uniform(-1.0, 4.0, 2)
        found, step = edge(head, head_next), 1e-6
        own = (edge(head + step, head_next).discharge - edge(head - step, head_next).discharge) / (2 * step)
        following = (edge(head, head_next + step).discharge - edge(head, head_next - step).discharge) / (2 * step)
        np.testing.assert_allclose(found.to_own, own, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(-found.to_next, following, rtol=1e-5, atol=1e-6)
        assert found.to_own >= 0.0
        assert found.to_next >= 0.0


def test_depth_and_storage_are_inverse():
    for volume in (0.0, 5e4, 2e5, 9e5):
        depth, slope = channel.depth(jnp.array(volume), **SIDES)
        np.testing.assert_allclose(channel.storage(depth, **SIDES), volume, atol=1e-8)
        assert slope == (5e5 if volume > 2e5 else 1e5)


def test_derivatives_are_finite_at_a_dry_and_level_bed():
    zero = jnp.array(0.0)

    def total(head, head_next):
        flow = channel.edge_flow(head, head_next, jnp.array(50.0), jnp.array(0.03), jnp.array(1e3))
        return flow.discharge + flow.to_own + flow.to_next

    for derivative in (jax.grad(total, (0, 1)), jax.hessian(total, (0, 1))):
        assert all(jnp.isfinite(leaf) for leaf in jax.tree.leaves(derivative(zero, zero)))
