"""Write the files of tf2onnx and of Keras's own export; see README.md."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers

HERE = Path(__file__).parent


def project() -> keras.Model:
    """TensorFlow's DCGAN tutorial: dense, a norm of its features, 5 x 5 deconvolutions."""
    z = layers.Input((6,))
    x = layers.Dense(4 * 4 * 5, use_bias=False)(z)
    x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    x = layers.Reshape((4, 4, 5))(x)
    x = layers.Conv2DTranspose(4, 5, strides=1, padding="same", use_bias=False)(x)
    x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2DTranspose(3, 5, strides=2, padding="same", activation="tanh")(x)
    return keras.Model(z, x)


def image() -> keras.Model:
    """Down and up with a skip connection, PReLU, upsampling, depth to space, padding."""
    x = layers.Input((8, 8, 3))
    a = layers.LeakyReLU(0.2)(layers.Conv2D(4, 4, strides=2, padding="same")(x))
    b = layers.Conv2D(5, 3, strides=2, padding="same")(a)
    b = layers.PReLU(shared_axes=[1, 2])(layers.BatchNormalization()(b))
    u = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.UpSampling2D()(b))
    c = layers.Conv2D(12, 1)(layers.Concatenate()([u, a]))
    c = layers.Lambda(lambda t: tf.nn.depth_to_space(t, 2))(c)
    c = layers.Conv2D(3, 3)(layers.ZeroPadding2D(1)(c))
    return keras.Model(x, layers.Activation("sigmoid")(c))


def grey() -> keras.Model:
    """One channel: layout changes become reshapes; scaling, ReLU6 and cropping."""
    x = layers.Input((8, 8, 1))
    y = layers.Conv2D(4, 3, padding="same")(layers.Rescaling(2.0, -1.0)(x))
    y = layers.Conv2DTranspose(1, 4, strides=2, padding="same")(layers.ReLU(6.0)(y))
    return keras.Model(x, layers.Cropping2D(1)(y))


def main() -> None:
    keras.utils.set_random_seed(0)
    rng = np.random.RandomState(1)
    for make in (project, image, grey):
        name, model = make.__name__, make()
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization | layers.PReLU):
                layer.set_weights([rng.uniform(0.2, 1, w.shape) for w in layer.get_weights()])
        x = rng.randn(2, *model.input_shape[1:]).astype(np.float32)
        np.savez_compressed(HERE / f"{name}.npz", x=x, y=model(x).numpy())
        call = tf.function(lambda t, model=model: model(t))
        spec = (tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="z"),)
        for opset in (11, 18):
            path = str(HERE / f"{name}-tf2onnx-{opset}.onnx")
            tf2onnx.convert.from_function(call, spec, opset=opset, output_path=path)
        model.export(str(HERE / f"{name}-keras-15.onnx"), format="onnx", verbose=False)


if __name__ == "__main__":
    main()
