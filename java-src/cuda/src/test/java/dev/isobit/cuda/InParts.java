package dev.isobit.cuda;

import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** The tests of a class on a device that launches nothing cooperatively. */
final class InParts implements BeforeAllCallback, AfterAllCallback {
    @Override
    public void beforeAll(ExtensionContext context) {
        System.setProperty(CudaProvider.COOPERATIVE_PROPERTY, "false");
    }

    @Override
    public void afterAll(ExtensionContext context) {
        System.clearProperty(CudaProvider.COOPERATIVE_PROPERTY);
    }
}
