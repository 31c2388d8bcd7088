package dev.isobit.bench;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaMember;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import dev.isobit.Backend;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.net.URI;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Arrows between modules run one way: {@code bench -> harness -> {core, cuda, sim, ptx}}, {@code sim -> {cuda, ptx}},
 * {@code cuda -> core}, {@code state -> {core, safetensors}}, {@code junit -> core}; {@code ptx} and {@code safetensors} stand alone. This
 * module sees all others, so the test lives here.
 */
class ModuleArrowsTest {
    /** A module is a package tree; core is what no other module claims. */
    private static final String[] PTX = {"dev.isobit.ptx.."};
    private static final String[] CUDA = {"dev.isobit.cuda.."};
    private static final String[] SIM = {"dev.isobit.sim.."};
    private static final String[] SAFETENSORS = {"dev.isobit.safetensors.."};
    private static final String[] STATE = {"dev.isobit.state.."};
    private static final String[] JUNIT = {"dev.isobit.junit.."};
    private static final String[] HARNESS = {"dev.isobit.harness.."};
    private static final String[] BENCH = {"dev.isobit.bench.."};
    private static final String[] CORE = {"dev.isobit", "dev.isobit.spi..", "dev.isobit.math..",
        "dev.isobit.reference..", "dev.isobit.cpu..", "dev.isobit.jvm.."};

    /** The JDK, and annotations that are not needed at run time. */
    private static final String[] JDK = {"java..", "javax.management..", "jdk.incubator.vector..",
        "org.jspecify.annotations.."};

    private static JavaClasses isobit;

    @BeforeAll
    static void readClasses() {
        isobit = new ClassFileImporter().withImportOption(new ImportOption.DoNotIncludeTests())
                .importPackages("dev.isobit");
    }

    @Test
    void everyModuleIsSeen() {
        for (String[] module : new String[][] {CORE, PTX, CUDA, SIM, SAFETENSORS, STATE, JUNIT, HARNESS, BENCH}) {
            assertTrue(isobit.stream().anyMatch(JavaClass.Predicates.resideInAnyPackage(module)),
                    "no class of " + module[0] + " was read");
        }
    }

    @Test
    void everyPackageBelongsToAModule() {
        classes().should().resideInAnyPackage(all(CORE, PTX, CUDA, SIM, SAFETENSORS, STATE, JUNIT, HARNESS, BENCH))
                .allowEmptyShould(true).check(isobit);
    }

    @Test
    void coreDependsOnNothingButTheJdk() {
        classes().that().resideInAnyPackage(CORE).should().onlyDependOnClassesThat().resideInAnyPackage(all(CORE, JDK))
                .allowEmptyShould(true).check(isobit);
    }

    @Test
    void ptxDependsOnNothingButTheJdk() {
        classes().that().resideInAnyPackage(PTX).should().onlyDependOnClassesThat().resideInAnyPackage(all(PTX, JDK))
                .allowEmptyShould(true).check(isobit);
    }

    @Test
    void safetensorsDependsOnNothingButTheJdkAndJackson() {
        classes().that().resideInAnyPackage(SAFETENSORS).should().onlyDependOnClassesThat()
                .resideInAnyPackage(all(SAFETENSORS, JDK, new String[] {"com.fasterxml.jackson.core.."}))
                .allowEmptyShould(true).check(isobit);
    }

    @Test
    void stateDependsOnCoreAndSafetensors() {
        classes().that().resideInAnyPackage(STATE).should().onlyDependOnClassesThat()
                .resideInAnyPackage(all(STATE, SAFETENSORS, CORE, JDK)).allowEmptyShould(true).check(isobit);
    }

    @Test
    void junitDependsOnCoreAndJUnit() {
        classes().that().resideInAnyPackage(JUNIT).should().onlyDependOnClassesThat()
                .resideInAnyPackage(all(JUNIT, CORE, JDK, new String[] {"org.junit..", "org.opentest4j.."}))
                .allowEmptyShould(true).check(isobit);
    }

    @Test
    void cudaDependsOnCoreAndJcuda() {
        classes().that().resideInAnyPackage(CUDA).should().onlyDependOnClassesThat()
                .resideInAnyPackage(all(CUDA, CORE, JDK, new String[] {"jcuda.."})).allowEmptyShould(true)
                .check(isobit);
    }

    /** But for the peer that it is measured against. */
    @Test
    void simDependsOnCudaAndPtx() {
        classes().that().resideInAnyPackage(SIM).should().onlyDependOnClassesThat()
                .resideInAnyPackage(all(SIM, CUDA, PTX, CORE, JDK)).allowEmptyShould(true).check(isobit);
    }

    @Test
    void onlyHarnessAndBenchDependOnSim() {
        noClasses().that().resideOutsideOfPackages(all(SIM, HARNESS, BENCH)).should().dependOnClassesThat()
                .resideInAnyPackage(SIM).allowEmptyShould(true).check(isobit);
    }

    /** But for the two kernels that bench launches itself, which the library does not have. */
    @Test
    void onlyCudaNamesJcuda() {
        noClasses().that().resideOutsideOfPackages(CUDA).and()
                .doNotBelongToAnyOf(JCudaIdiom.class, SameMixStream.class).should()
                .dependOnClassesThat().resideInAPackage("jcuda..")
                .allowEmptyShould(true).check(isobit);
    }

    @Test
    void exportedTypesNameExportedTypesOnly() {
        var exported =
                ModuleFinder.of(locationOf(Backend.class)).find("dev.isobit").orElseThrow().descriptor().exports();
        Set<String> packages = exported.stream().map(ModuleDescriptor.Exports::source).collect(Collectors.toSet());
        assertEquals(Set.of("dev.isobit", "dev.isobit.math", "dev.isobit.spi"), packages);
        var leaks = new TreeSet<String>();
        for (JavaClass type : isobit.that(JavaClass.Predicates.resideInAnyPackage(packages.toArray(String[]::new)))) {
            if (!type.getModifiers().contains(JavaModifier.PUBLIC)) {
                continue;
            }
            for (JavaMember member : type.getMembers()) {
                if (member.getModifiers().contains(JavaModifier.PUBLIC)
                        || member.getModifiers().contains(JavaModifier.PROTECTED)) {
                    for (JavaClass used : member.getAllInvolvedRawTypes()) {
                        String name = used.getBaseComponentType().getPackageName();
                        if (name.startsWith("dev.isobit") && !packages.contains(name)) {
                            leaks.add(member.getFullName() + " names " + used.getName());
                        }
                    }
                }
            }
        }
        assertEquals(Set.of(), leaks);
    }

    @Test
    void nobodyDependsOnBench() {
        noClasses().that().resideOutsideOfPackages(BENCH).should().dependOnClassesThat().resideInAnyPackage(BENCH)
                .allowEmptyShould(true).check(isobit);
    }

    @Test
    void onlyBenchDependsOnHarness() {
        noClasses().that().resideOutsideOfPackages(all(HARNESS, BENCH)).should().dependOnClassesThat()
                .resideInAnyPackage(HARNESS).allowEmptyShould(true).check(isobit);
    }

    @Test
    void backendsAreFoundNotNamed() {
        noClasses().that().resideInAnyPackage(CORE).should().dependOnClassesThat()
                .resideInAnyPackage(all(CUDA, PTX, SIM, SAFETENSORS, STATE, JUNIT, HARNESS, BENCH))
                .allowEmptyShould(true)
                .check(isobit);
    }

    private static Path locationOf(Class<?> type) {
        return Path.of(URI.create(type.getProtectionDomain().getCodeSource().getLocation().toString()));
    }

    private static String[] all(String[]... modules) {
        return Arrays.stream(modules).flatMap(Stream::of).toArray(String[]::new);
    }
}
